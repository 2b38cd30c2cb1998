"""The kill campaign: firmware, host, link and cable die at any instant; what the bench's own witness saw decides.

`python -m tools.killing` (make kill): four campaigns, one table. firmware.py kills the pump's process, host.py the host at every byte,
noise.py the bytes on the line, cable.py the line itself. SIMULATED: the unix port in virtual time.
"""
