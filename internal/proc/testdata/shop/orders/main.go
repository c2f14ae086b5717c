package main

import (
	"shop/kit"
)

func main() { kit.Run("orders", 1) }
