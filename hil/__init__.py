"""The bench: drives a pump over its serial line, weighs what it delivers, and says whether the dose was right."""
