"""The options: parsers, types, Beam's own, the Flex Template's metadata."""
