# SPDX-License-Identifier: MIT
"""The Python behind ./pvblk: fetches and builds QEMU, makes guests, sets up what tests need, and has pytest run them."""
