"""Photoshop's files of layers: PSD, PSB, and the layers inside a TIFF.

Sources: Adobe Photoshop File Formats Specification (November 2019); Adobe Photoshop TIFF Technical Notes
(March 22, 2002). Written here because a layer must be written as it comes: both libraries that write 16-bit
layers with masks, psd-tools and psdtags, want all of them in memory.
"""
