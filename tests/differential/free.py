"""What each server may say in its own way."""


class Free:
    """A value that each server may say in its own way, by a rule."""

    def __init__(self, rule, said, meant=True):
        self.rule, self.said, self.meant = rule, said, meant

    def __eq__(self, other):
        return isinstance(other, Free) and self.meant == other.meant

    def __repr__(self):
        return str(self.meant)
