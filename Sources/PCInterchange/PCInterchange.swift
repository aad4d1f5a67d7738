// PCInterchange
