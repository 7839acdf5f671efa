"""Music that is computed: instruments, a singing voice, and the songs that they play."""
