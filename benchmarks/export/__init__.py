"""Files: bytes and errors beside other converters, profiles, runtimes and the proof."""
