"""The networks that estimate masks or spectra of stems."""
