"""Well-formed but wrong evidence, a module for each step that has to notice it."""
