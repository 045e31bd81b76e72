"""How answers are worded, laid out and printed."""
