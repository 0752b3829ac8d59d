"""The laboratory from Python: `import nglab as ng`. What `nglab` names publicly stands here or below."""
