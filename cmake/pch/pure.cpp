// Carries the precompiled header that the other modules reuse.
