"""How it is trained: the loop, and what it draws, changes, mixes and keeps."""
