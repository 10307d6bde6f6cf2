"""The whole system on one machine: real servers from wheels and our services, as supervised child processes.

Everything that a run keeps (data, keys, ports, logs) stands in its home folder; a second run with the same home goes on
where the first one stopped. Security between processes is off here: everything listens on loopback only.
"""
