"""Whether an element has the values that are asked for (PS3.4 Section C.2.2.2)."""
