# SPDX-License-Identifier: BSD-3-Clause
"""Random commands, one file for each family.

Each has a mixin with makers: `do_NAME(self)` returns (arguments after the name, way of comparing),
`law_NAME(self)` the arguments of a command whose answer is left to chance (see laws.py). COMMANDS
are (name, weight) or (name, weight, False): not to be called with arguments at random. WHOLE are
those whose makers return the command's name, too. LAWS are (name, weight). EDGES names methods that
return several commands, with how to compare each, that lead across a limit.
"""
