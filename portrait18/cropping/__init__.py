"""Face detection, crops around faces, and the crop store."""
