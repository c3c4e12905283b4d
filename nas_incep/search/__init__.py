"""The search: workers that take trials from a study and train them."""
