"""How fast, how small and how safe, measured beside other tools in the same hour on the same machine."""
