"""The five applications of the demonstration, and the servers that they run on."""
