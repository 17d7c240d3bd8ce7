"""The commands of `gifty`: each module adds its parser and runs."""
