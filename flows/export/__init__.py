"""The feature export: commands that write attached samples as files, or push them to the platform."""
