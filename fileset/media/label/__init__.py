"""Labels and accompanying sheets of media, and job files for robots that burn and print them."""
