"""The depth networks: loading them from files and running them on pictures."""
