"""Write a project of Great Expectations over a sample store. People can open it with Great Expectations alone."""
