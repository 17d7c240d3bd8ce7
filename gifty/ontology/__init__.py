"""Knowledge of kinds of things and interests, shared by search, scoring and discovery."""
