"""The report: one HTML file that tells how a picture was made, for eyes and for mail."""
