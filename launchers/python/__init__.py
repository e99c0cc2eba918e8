"""What `import batchscale` gives: studies, results, figures and a recorder, for scripts and notebooks."""
