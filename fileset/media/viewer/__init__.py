"""A viewer in a web browser that needs no server and no installation: the folder VIEWER.

Browsers let a page that was opened from a medium load scripts and pictures, and nothing else. So
the pixels are in scripts. Those of native instances are a function of the instance alone, which
never changes for a version of the format; what a decoder made of others is kept.
"""
