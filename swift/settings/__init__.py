"""Typed settings: the defaults of the class, then `system.toml`, then the environment (12factor.net/config).

class AppSettings(Settings, kw_only=True):
    stripe_key: Secret                                  # SWIFT_STRIPE_KEY
    mail: Mail = msgspec.field(default_factory=Mail)    # [mail], SWIFT_MAIL__HOST

settings = AppSettings.load()
"""

from .sections import Database, Global, Http, Secret, Server, Settings, SettingsError

__all__ = ["Database", "Global", "Http", "Secret", "Server", "Settings", "SettingsError"]
