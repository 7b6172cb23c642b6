"""Other people's labelled faces into the competition's layout, masks drawn over them."""
