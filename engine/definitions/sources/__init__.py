"""What an entry of ``sources`` may be: a file of labelled lines, a text file in passages, ordinary texts."""
