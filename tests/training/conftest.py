from hub_fixtures import api, hub  # noqa: F401
