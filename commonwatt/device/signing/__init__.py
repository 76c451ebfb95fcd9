"""What the commune signs for its devices: commands, each with its number, and the manifests of updates."""
