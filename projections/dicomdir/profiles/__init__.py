"""The application profiles of PS3.11 as data, and what they ask of instances and records."""
