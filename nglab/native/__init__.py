"""What is compiled: C of ours, small, and what has MKL take its fast path. Nothing here imports torch on import."""
