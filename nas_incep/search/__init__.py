"""The search: workers that take trials from a study and train them.

`nas_incep` makes this package callable: `nas_incep.search("quick", run="r1")` is `api.search`.
"""
