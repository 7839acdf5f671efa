"""Networks that estimate the masks or spectra of the stems."""
