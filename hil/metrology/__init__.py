"""From recorded weights to the figures of IEC 60601-2-24, each with its uncertainty, limits and verdict.

Nothing here talks to an instrument or a pump: `masslog` (cleaned weights), `blank` (noise, drift and evaporation), `figure` (value,
uncertainty budget, verdict), `flow` (start-up, trumpet, overall error), `bolus`, `occlusion`, `pictures`, `outcome` (JSON). `synthetic`
makes logs whose answers are known. README.md beside this says what is worked out how, and from which source.
"""
