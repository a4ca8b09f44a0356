"""`faceforge doctor`: what stands in the way on this machine and of the servers it uses, and what to do about it."""
