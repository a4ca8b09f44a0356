"""Image sets at a glance: contact sheets, class counts and distributions."""
