"""Things that moved while the stack was shot: where frames disagree, and which of them are left out there."""
