"""From a person to gifts: the quiz, the profile of the recipient, ranking, reasons."""
