# SPDX-License-Identifier: BSD-3-Clause
"""What every Python test of torc shares: a RESP client, a server harness, checkers."""
