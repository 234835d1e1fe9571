"""Expectations and a finding become a verdict. Pure: no module here touches a container."""
