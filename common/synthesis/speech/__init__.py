"""Speech: words spoken by espeak-ng, and what is done to them."""
