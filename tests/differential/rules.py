import tomllib


class Rules:
    def __init__(self, rules):
        self.rules = rules

    def explains(self, difference):
        return None


def load(file):
    return Rules([])
