"""Expectations and what was found become a verdict. Pure: nothing here touches a container."""
