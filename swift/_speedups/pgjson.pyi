from collections.abc import Iterable

from swift._speedups.pgvalues import Codec

class JsonPlan:
    @property
    def numeric_as_number(self) -> bool: ...
    @property
    def big_integers_as_text(self) -> bool: ...
    def __init__(
        self,
        names: Iterable[str],
        codecs: Iterable[Codec],
        bare: bool = False,
        numeric_as_number: bool = False,
        big_integers_as_text: bool = False,
    ) -> None: ...
