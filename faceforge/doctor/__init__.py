"""`faceforge doctor`: checks this machine and the servers that it uses, and says what to do about each problem."""
