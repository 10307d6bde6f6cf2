"""The `banyan` command: runs the system on this machine, loads data, and shows what runs."""
